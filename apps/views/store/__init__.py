"""The stored tree as set-based SQL: the only place of this app that speaks a database's dialect.

`tables` names the columns, `sqlite` and `postgres` move sets of rows, `nodes`, `memory` and `subtree` are the verbs that
`working`, `apply` and `audits` call. Every verb is a constant number of statements, whatever the size of the set.
"""
