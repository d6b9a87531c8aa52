"""x"""
from tests.interop.remedies.case import Cases
case = Cases()
