"""Everything that draws: answers, training runs, diagnoses, confusions."""
