"""Where the images of a run come from: the inputs that it read, and the registered domains of images and pages."""
