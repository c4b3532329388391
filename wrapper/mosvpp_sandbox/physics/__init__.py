"""A site as physics: devices, sun, weather and wiring. Knows nothing of events, messages or HTTP.

One direction: `surroundings` (what nobody can change) → `device` (what all devices share) → the devices
themselves → `plant` (one site: wiring, balance, what an event means for it). Everything is a function of
simulated time and a seed; nothing here looks at a clock, and nothing is drawn at random.
"""
