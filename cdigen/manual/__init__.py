"""Manual pages and completion for shells, made of the verbs and their options themselves."""
