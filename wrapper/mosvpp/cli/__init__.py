"""The `mosvpp` command, for the person at the keyboard and for scripts (extra `cli`).

app          the program: its commands, its help, and what becomes of an error; exits: its exit codes
options      what several commands share; event_options: what describes an event
arguments    from texts to powers, instants, commands, secrets
connection   the client that the options describe
terminal     everything that is printed; tables and outcomes: what it looks like
evidence     how sure the facts are that are named here

devices      mosvpp devices
dispatch     mosvpp dispatch and cancel ┐ sending: keep, send, keep again, tell the outcome
site_command mosvpp command             │ saved: receipts and requests in files
resend       mosvpp resend              ┘ consent: nothing live without a yes
doctor       mosvpp doctor, in checks of network_checks and answer_checks
verify       mosvpp verify, with captures, inspection, sender_checks and json_faults
receive      mosvpp receive, with receive_secrets, receive_server and receive_running
inbox        mosvpp inbox: inbox_look, inbox_silent, inbox_tidy, inbox_move, inbox_quarantine, inbox_forward;
             what they share is in inbox_store, inbox_tables and inbox_progress
fleet        mosvpp fleet: fleet_plan, fleet_run, fleet_look, fleet_stop, fleet_devices, fleet_follow and
             fleet_settle; what they share is in fleet_store, fleet_sites, fleet_tables, fleet_settlement and
             fleet_progress
help         commands and groups whose help ends with the exit codes
"""

from __future__ import annotations
