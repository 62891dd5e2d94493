"""Statistics: classifiers, and what tells of generalisation."""
