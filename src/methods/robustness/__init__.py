"""How far a network holds where its images are worse, or others, than those it was trained on."""
