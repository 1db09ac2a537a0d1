"""DICOM objects as files: what they are, and how they become what is sent."""
