"""What every connector is built from: streams, batches, HTTP, authentication, paging, files."""
