"""Named scenarios, as data: what a partner and Molecule do to each other, and what has to come of it.

python -m mosvpp_sandbox run                    lists them
python -m mosvpp_sandbox run single_discharge   plays one
"""
