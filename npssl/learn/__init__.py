"""Exercises: derive a gradient, and be told what is wrong with it.

`npssl.learn.path` is the list, chapter by chapter; `npssl.learn.exercise` says what an
exercise is, `npssl.learn.marking` marks an answer, `npssl.learn.folder` keeps a learner's
files and progress, `npssl.learn.teaching` writes sets and grades them.
"""
