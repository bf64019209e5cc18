"""The SQL models on a Spark Connect endpoint: an Apache Spark cluster, or Sail in the tests. Tables are Parquet files in a shared folder.

``dialect`` a query in Spark's words; ``types`` the schemas both engines keep; ``store`` which files are which table; ``exporting``
what the warehouse gives the cluster; ``cluster`` the connection; ``building`` models and checks. docs/scale.md says when this pays.
"""
