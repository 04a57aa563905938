"""What a person or a schedule types, one file for whom or what a command is about."""
