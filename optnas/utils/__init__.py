"""Small tools that know nothing of studies: text, files, inputs, seeds, distributions."""
