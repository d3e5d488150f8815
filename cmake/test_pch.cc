// Exists so that the tests' precompiled header has one owner; see cmake/test_pch.h.
