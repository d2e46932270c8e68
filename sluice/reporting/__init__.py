"""What people and programs are told of an execution that ends."""
