"""What a terminal sees: the commands, their options, what they print, and how they end."""
