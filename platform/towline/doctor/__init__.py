"""What `manage.py doctor` looks at: each dependency gives one finding, with its remedy. Looking changes nothing."""
