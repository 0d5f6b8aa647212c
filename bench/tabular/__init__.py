"""`fastsnn bench tables`: estimators at their defaults on raw tables and on UCI tasks."""
