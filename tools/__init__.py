"""Tools of the repository, outside of the wheel: generators of docs/ and schemas/, check of the prose."""
