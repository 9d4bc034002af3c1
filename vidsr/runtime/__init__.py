"""What a run needs of the operating system: process settings, threads, output files."""
