"""The field service: sensors read over a wire, kept on disk, sent until the centre has them."""
