"""Training programs of real trainers, which are broken off and resumed, and the judgement of what they gave.

``data``             the recipe, the loaders and the network of all programs
``scenarios``        how often a program trains, where it saves and where it resumes
``judge``            whether what the ranks noted is right
``loops``            plain loops, DistributedDataParallel, torchdata's nodes and ``StatefulDataLoader``
``with_lightning``   Lightning, with each of its ways to start ranks
``with_accelerate``  Accelerate, with each of its ways to save the loader's state
``with_ray``         Ray Train
``programs``         the commands that start them

``python -m tests.helpers.trainers`` runs all of them and prints a table.
"""
