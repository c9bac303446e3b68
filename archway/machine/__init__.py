"""What this machine needs before it can build, and the commands that get it there.

    setup      probe, mend, probe again; or only say what is the case
    carry      carry out a remedy                              (acts: changes the machine)
    checks     facts → findings                                (decides)
    probe      read the facts of this machine                  (acts: reads)
    remedies   facts → commands, and the facts expected after them (decides)
    apt        Debian's packages: commands, and what apt's complaints mean
    finding    what is found about one need
    commands   a command as data: its lines for a shell, and the same with sudo
    facts      the facts of a machine, what the monorepo wants of it
    binfmt     what the kernel does with programs of other platforms

Imports run downwards.
"""
