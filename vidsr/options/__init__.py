"""What the user asked for, parsed into frozen values."""
