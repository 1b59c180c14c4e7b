"""Options of Spark's JVMs in tests, which end before it pays to compile their code well."""

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
