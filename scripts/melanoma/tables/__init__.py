"""Tables of users: files and their texts, names of patients and images, and the vocabulary."""
