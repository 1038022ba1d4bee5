"""The reference service: it fills a catalogue entry that names no image, and really uses what it is connected to."""
