"""What every part uses: commands, errors, files, random numbers."""
