"""What can be measured of a picture itself, on an object and on the rest; knows no model."""
