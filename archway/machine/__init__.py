"""What this machine needs before it can build, and the commands that get it there.

    setup            probe, mend, probe again; or only say what is the case
    carry            carry out a remedy                              (acts: changes the machine)
    guard            says before a build what it could not run here
    probe            read the facts of this machine                  (acts: reads)
    probe_docker     what the Docker client says                     (acts: reads)
    probe_binfmt     what the kernel does with foreign programs      (acts: reads)
    files            the files of this machine, as far as they can be read
    checks           facts → findings                                (decides)
    checks_docker    the same for client, buildx and engine          (decides)
    registry         the registry on the loopback address: what is found, and how one is started (decides)
    remedies         facts → commands, and the facts expected after them (decides)
    emulation        which platforms are foreign, why they would not run, and how they are registered (decides)
    apt              Debian's packages: commands, and what apt's complaints mean
    finding          what is found about one need
    commands         a command as data: its lines for a shell, and the same with sudo
    facts            the facts of a machine, what the monorepo wants of it
    binfmt           registrations of the kernel for programs of other platforms

Imports run downwards.
"""
