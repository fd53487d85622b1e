"""What is known beforehand, as data, a reason a row: the driver's files and nodes, classes of devices, engines."""
