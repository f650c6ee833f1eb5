"""`python -m puller`."""

from puller.cli.main import main

main()
