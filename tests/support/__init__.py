"""What tests share: servers, clusters, faults, and data that several test modules need."""
