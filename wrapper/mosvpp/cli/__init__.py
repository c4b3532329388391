"""The `mosvpp` command, for the person at the keyboard and for scripts (extra `cli`).

    app         the program: its commands, its help, and what becomes of an error
    exits       exit codes
    options     options that several commands share
    arguments   from texts on the command line to powers, instants, commands, secrets
    connection  the client that the options describe
    consent     nothing live without a yes
    saved       receipts and requests in files
    sending     what dispatch, cancel, command and resend share
    terminal    everything that is printed; tables has the tables

Each other module is the command of its name; `doctor` has its checks in `network_checks` and `answer_checks`.
"""

from __future__ import annotations
