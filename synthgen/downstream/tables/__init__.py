"""Tables: does synthetic data help a model that is trained on rows?"""
