"""`python -m fastsnn`"""

from fastsnn.cli import main

main(prog_name="fastsnn")
