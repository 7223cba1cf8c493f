"""Parses Oracle SQL with the Oracle dialect of sqlfluff. Each line of the input is a statement in
base64. The output has one line for each: "ok", or the first error."""

import base64
import sys

from sqlfluff.core import Linter

linter = Linter(dialect="oracle")
for line in sys.stdin:
    statement = base64.b64decode(line).decode()
    try:
        violations = [one.desc() for one in linter.parse_string(statement + ";\n").violations]
    except RuntimeError as error:
        # The dialect refers to a keyword that it does not define.
        violations = [str(error)]
    print(violations[0].replace("\n", " ")[:120] if violations else "ok", flush=True)
