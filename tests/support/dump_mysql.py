"""As `mysqldump NAME --quick --host=… --port=… --user=…`: Debian has that in a package with much else. The password is that of
MYSQL_PWD."""

from __future__ import annotations

import os
import sys
from typing import Any

import pymysql


def main(name: str, options: dict[str, str]) -> None:
    connection: Any = pymysql.connect(
        host=options["host"],
        port=int(options["port"]),
        user=options["user"],
        password=os.environ.get("MYSQL_PWD", ""),
        database=name,
    )
    print("SET FOREIGN_KEY_CHECKS = 0;")
    with connection.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
        for table, _ in cursor.fetchall():
            print(f"DROP TABLE IF EXISTS `{table}`;")
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            print(f"{cursor.fetchone()[1]};")
            cursor.execute(f"SELECT * FROM `{table}`")
            rows = [f"({','.join(map(connection.literal, row))})" for row in cursor.fetchall()]
            if rows:
                print(f"INSERT INTO `{table}` VALUES {','.join(rows)};")


if __name__ == "__main__":
    main(sys.argv[1], dict(word.removeprefix("--").split("=", 1) for word in sys.argv[2:] if "=" in word))
