"""What runs the rows of a study: processes here (`local`), the array of a cluster (`shards`), Ray (`on_ray`)."""
