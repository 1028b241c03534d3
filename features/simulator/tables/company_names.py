"""Names of the simulated companies and of the people who look after them. None of them exists."""

import numpy as np

# Two lists of lengths without a common divisor: the pair of a number is another for every number below their product.
FIRST = (
    "Amber Anchor Arbor Aspen Basalt Beacon Birch Blue Brook Cedar Cinder Clover Cobalt Copper Coral Crest Delta Dune "
    "Ember Falcon Fern Field Flint Garnet Granite Harbor Hazel Heron Indigo Iron Ivory Jade Juniper Kestrel Lark "
    "Laurel Linden Lunar Maple Marble Meadow Mesa Nimbus North Oak Ochre Olive Onyx Orchard Osprey Pebble Pine Quartz "
    "Raven Ridge River Sable Saffron Slate"
)
SECOND = (
    "Analytics Books Care Clinics Dental Design Energy Foods Freight Games Gardens Health Hotels Insights "
    "Kitchens Labs Learning Legal Logistics Media Metals Mobility Motors Networks Optics Partners Payroll Pharma "
    "Plastics Press Retail Robotics Security Software Solar Sports Studios Supply Systems Textiles Tools Travel "
    "Ventures"
)
FIRST_WORDS, SECOND_WORDS = np.array(FIRST.split()), np.array(SECOND.split())
OWNERS = np.array(
    [
        *("Ada Okafor", "Ben Castillo", "Chloe Martin", "Daniel Weber", "Elif Demir", "Farah Haddad"),
        *("Hana Suzuki", "Ivan Petrov", "Jonas Lind", "Lucia Romano", "Maya Patel", "Noah Dubois"),
    ]
)


def company_names(numbers: np.ndarray) -> np.ndarray:
    """A name for each account number; a number of its own follows from the second round of all names on.

    >>> company_names(np.array([0, 1, 2, 2537])).tolist()
    ['Amber Analytics', 'Anchor Books', 'Arbor Care', 'Amber Analytics 2']
    """
    words = FIRST_WORDS[numbers % len(FIRST_WORDS)], SECOND_WORDS[numbers % len(SECOND_WORDS)]
    names = np.char.add(np.char.add(words[0], " "), words[1])
    rounds = numbers // (len(FIRST_WORDS) * len(SECOND_WORDS)) + 1
    return np.where(rounds == 1, names, np.char.add(np.char.add(names, " "), rounds.astype(str)))
