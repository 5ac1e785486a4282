"""May tonight's candidate replace the champion? A verdict, row by row, that a person can read."""
