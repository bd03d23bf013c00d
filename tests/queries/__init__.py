"""Tests of the reading half of apps.views: answers, pages, searches, feeds, over stored trees that builders make."""
