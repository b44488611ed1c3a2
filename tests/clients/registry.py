"""The list of all checks, which modules add to with `@check`."""

CHECKS = []


def check(function):
    """Adds a function to the checks of all clients."""
    function.library = None
    CHECKS.append(function)
    return function


def check_of(library):
    """Adds a function to the checks of one client, as the others do not have its calls."""

    def add(function):
        check(function).library = library
        return function

    return add


def checks_of(library):
    """Returns the checks of a client, in the order in which they were added."""
    return [check for check in CHECKS if check.library in (None, library)]
