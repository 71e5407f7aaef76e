"""After a hop the cloud is used as its users use it, and its services' errors are counted. See verify."""
