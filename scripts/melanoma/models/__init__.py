"""Networks of images and metadata, and the classifiers of scikit-learn."""
