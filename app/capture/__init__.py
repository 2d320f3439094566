"""Where frames come from: cameras, video files, image folders, network streams, the built-in demo."""
