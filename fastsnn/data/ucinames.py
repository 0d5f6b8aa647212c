"""Rows, features and classes of the 121 UCI tasks of Fernandez-Delgado et al. (JMLR 15, 2014)."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Number of rows, features and classes of a task."""

    rows: int
    features: int
    classes: int


# name, rows, features, classes
_TEXT = """
abalone 4177 8 3; acute-inflammation 120 6 2; acute-nephritis 120 6 2; adult 48842 14 2
annealing 898 31 5; arrhythmia 452 262 13; audiology-std 196 59 18; balance-scale 625 4 3
balloons 16 4 2; bank 4521 16 2; blood 748 4 2; breast-cancer 286 9 2; breast-cancer-wisc 699 9 2
breast-cancer-wisc-diag 569 30 2; breast-cancer-wisc-prog 198 33 2; breast-tissue 106 9 6
car 1728 6 4; cardiotocography-10clases 2126 21 10; cardiotocography-3clases 2126 21 3
chess-krvk 28056 6 18; chess-krvkp 3196 36 2; congressional-voting 435 16 2
conn-bench-sonar-mines-rocks 208 60 2; conn-bench-vowel-deterding 990 11 11; connect-4 67557 42 2
contrac 1473 9 3; credit-approval 690 15 2; cylinder-bands 512 35 2; dermatology 366 34 6
echocardiogram 131 10 2; ecoli 336 7 8; energy-y1 768 8 3; energy-y2 768 8 3; fertility 100 9 2
flags 194 28 8; glass 214 9 6; haberman-survival 306 3 2; hayes-roth 160 3 3
heart-cleveland 303 13 5; heart-hungarian 294 12 2; heart-switzerland 123 12 5; heart-va 200 12 5
hepatitis 155 19 2; hill-valley 1212 100 2; horse-colic 368 25 2; ilpd-indian-liver 583 9 2
image-segmentation 2310 18 7; ionosphere 351 33 2; iris 150 4 3; led-display 1000 7 10
lenses 24 4 3; letter 20000 16 26; libras 360 90 15; low-res-spect 531 100 9; lung-cancer 32 56 3
lymphography 148 18 4; magic 19020 10 2; mammographic 961 5 2; miniboone 130064 50 2
molec-biol-promoter 106 57 2; molec-biol-splice 3190 60 3; monks-1 556 6 2; monks-2 601 6 2
monks-3 554 6 2; mushroom 8124 21 2; musk-1 476 166 2; musk-2 6598 166 2; nursery 12960 8 5
oocytes_merluccius_nucleus_4d 1022 41 2; oocytes_merluccius_states_2f 1022 25 3
oocytes_trisopterus_nucleus_2f 912 25 2; oocytes_trisopterus_states_5b 912 32 3
optical 5620 62 10; ozone 2536 72 2; page-blocks 5473 10 5; parkinsons 195 22 2
pendigits 10992 16 10; pima 768 8 2; pittsburg-bridges-MATERIAL 106 7 3
pittsburg-bridges-REL-L 103 7 3; pittsburg-bridges-SPAN 92 7 3; pittsburg-bridges-T-OR-D 102 7 2
pittsburg-bridges-TYPE 105 7 6; planning 182 12 2; plant-margin 1600 64 100
plant-shape 1600 64 100; plant-texture 1599 64 100; post-operative 90 8 3; primary-tumor 330 17 15
ringnorm 7400 20 2; seeds 210 7 3; semeion 1593 256 10; soybean 683 35 18; spambase 4601 57 2
spect 265 22 2; spectf 267 44 2; statlog-australian-credit 690 14 2
statlog-german-credit 1000 24 2; statlog-heart 270 13 2; statlog-image 2310 18 7
statlog-landsat 6435 36 6; statlog-shuttle 58000 9 7; statlog-vehicle 846 18 4
steel-plates 1941 27 7; synthetic-control 600 60 6; teaching 151 5 3; thyroid 7200 21 3
tic-tac-toe 958 9 2; titanic 2201 3 2; trains 10 29 2; twonorm 7400 20 2
vertebral-column-2clases 310 6 2; vertebral-column-3clases 310 6 3; wall-following 5456 24 4
waveform 5000 21 3; waveform-noise 5000 40 3; wine 178 13 3; wine-quality-red 1599 11 6
wine-quality-white 4898 11 7; yeast 1484 8 10; zoo 101 16 7
"""

SHAPES = {
    name: Shape(*map(int, numbers))
    for line in _TEXT.strip().splitlines()
    for name, *numbers in map(str.split, line.split(";"))
}
