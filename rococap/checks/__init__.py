"""Whether a command is right, found out at second zero: names, types and ranges, read from source.

Imports types, config and cli, and nothing heavy: no torch. Front door: `command_line.check_command_line`.
"""
