"""The names of findings and devices in report language, as data.

Each row is a finding and patterns for its names: regular expressions over lower-case text in which a space stands for
any white space and word boundaries are added at both ends. ``STRUCTURES`` are parts of the chest that are normal or not
("the heart is enlarged", "costophrenic angles are sharp"); ``STATES`` are the words that say so. Rules are elsewhere.
"""

from __future__ import annotations

from engine.reports.vocabulary import Finding

FINDINGS: tuple[tuple[Finding, tuple[str, ...]], ...] = (
    (
        Finding.EFFUSION,
        (
            r"(?:hydro|hemo|haemo)thora(?:x|ces)",
            r"(?:para ?pneumonic |pleural |sub ?pulmonic |loculated )*effusions?",
            r"pleural fluid(?: collections?)?",
            r"fluid (?:collections? )?in the (?:\w+ )?pleural spaces?",
            r"layering fluid",
            r"empyemas?",
        ),
    ),
    (
        Finding.CONSOLIDATION,
        (
            r"(?:focal |lobar |segmental |airspace |air space |air-space |alveolar )*consolidati(?:on|ons|ve "
            r"change|ve changes)",
            r"(?:focal |lobar |multifocal )?consolidative (?:opacit(?:y|ies)|process)",
            r"consolidated (?:lung|lobe)",
        ),
    ),
    (
        Finding.PNEUMOTHORAX,
        (
            r"(?:hydro)?pneumothora(?:x|ces|xes)",
            r"ptx",
            r"pleural air",
        ),
    ),
    (
        Finding.CARDIOMEGALY,
        (
            r"cardiomegaly",
            r"cardiac enlargement",
            r"enlargement of the (?:heart|cardiac silhouette|cardiac shadow|cardiac contour)",
            r"cardiac (?:chamber )?dilatation",
            r"increased cardiothoracic ratio",
        ),
    ),
    (
        Finding.EDEMA,
        (
            r"(?:pulmonary |interstitial |alveolar |perihilar |pulmonary interstitial |pulmonary vascular "
            r")*(?:o?edema)",
            r"(?:pulmonary )?(?:vascular|venous|pulmonary) (?:congestion|engorgement|redistribution|plethora)",
            r"(?:congestive )?(?:heart|cardiac) failure",
            r"chf",
            r"(?:pulmonary )?fluid overload",
            r"volume overload",
            r"cephali[sz]ation",
            r"kerley b? ?lines?",
            r"congestive changes?",
            r"(?:pulmonary|hydrostatic) (?:venous )?hypertensive changes",
        ),
    ),
    (
        Finding.ATELECTASIS,
        (
            r"(?:sub ?segmental |segmental |plate-?like |linear |discoid |compressive |dependent |relaxation |"
            r"passive |lobar |round(?:ed)? )*"
            r"atelect[ae](?:sis|ses|tic changes?|tic opacit(?:y|ies)|tic bands?|tic lung)",
            r"(?:lobar|lobe|lung|partial|complete) collapse",
            r"collapse of the (?:(?:left|right) )?(?:(?:upper|lower|middle) )?(?:lobe|lung)",
            r"collapsed (?:left |right )?(?:(?:upper|lower|middle) )?(?:lobe|lung)",
            r"volume loss",
            r"loss of volume",
        ),
    ),
    (
        Finding.NODULE,
        (
            r"(?:pulmonary |lung |solitary |calcified |spiculated )*(?:micro)?nodules?",
            r"nodular (?:opacit(?:y|ies)|densit(?:y|ies)|lesions?|shadows?)",
            r"coin lesions?",
            r"granulomas?",
        ),
    ),
    (
        Finding.MASS,
        (
            r"(?:pulmonary |lung |hilar |suprahilar |perihilar |cavitary )*mass(?:es)?(?! effect)",
            r"(?:pulmonary |lung )(?:lesions?|tumou?rs?|metastas[ie]s|neoplasms?|malignanc(?:y|ies))",
            r"cavitary lesions?",
        ),
    ),
    (
        Finding.PNEUMONIA,
        (
            r"(?:aspiration |multifocal |lobar |broncho|community-?acquired )*pneumonias?",
            r"(?:superimposed )?infectious process(?:es)?",
            r"(?:superimposed )?infection",
            r"pneumonitis",
        ),
    ),
    (
        Finding.OPACITY,
        (
            r"(?:air ?-?space |patchy |hazy |interstitial |reticular |ground[- ]glass |alveolar |parenchymal |"
            r"pulmonary |lung |focal )*"
            r"opaci(?:ty|ties|fication|fications)",
            r"opacified",
            r"(?:pulmonary |lung |focal )*infiltrat(?:e|es|ion|ions)",
            r"air ?-?space (?:disease|process)",
            r"(?:hazy|patchy|ill-?defined|focal|increased) densit(?:y|ies)",
            r"haziness",
            r"interstitial (?:markings|abnormalit(?:y|ies)|lung disease|changes|pattern)",
        ),
    ),
    (
        Finding.MEDIASTINUM,
        (
            r"(?:mediastinal|cardiomediastinal) (?:widening|enlargement)",
            r"widen(?:ed|ing) (?:of the )?(?:superior )?mediastinum",
            r"widened mediastinal (?:contour|silhouette)",
        ),
    ),
    (
        Finding.PLEURAL_OTHER,
        (
            r"pleural (?:thickening|plaques?|scarring|calcifications?)",
            r"pleuro-?parenchymal scarring",
            r"fibrothorax",
        ),
    ),
    (
        Finding.FRACTURE,
        (
            r"(?:(?:displaced|rib|ribs|compression|clavicular|clavicle|sternal|vertebral|acute|healed|healing|"
            r"old|osseous) )*fractures?",
            r"fractured",
        ),
    ),
    (
        Finding.NO_FINDING,
        (
            r"no (?:radiographic )?(?:evidence (?:of|for) )?(?:an )?acute (?:cardio-?pulmonary|intrathoracic|"
            r"cardiopulmonary or osseous|chest|pulmonary|thoracic)"
            r" (?:process|abnormalit(?:y|ies)|disease|findings?|pathology|changes?)",
            r"no acute (?:process|abnormalit(?:y|ies)|disease|findings?)",
            r"no (?:significant |focal |active )?(?:cardiopulmonary|intrathoracic) (?:abnormalit(?:y|ies)|"
            r"disease|process)",
            r"normal (?:chest|study|examination|exam|radiograph)(?: radiographs?| x-?ray)?",
            r"unremarkable (?:chest|study|examination|exam)(?: radiographs?| x-?ray)?",
        ),
    ),
    (
        Finding.TUBE,
        (
            r"(?:oro|naso)?endo-?tracheal (?:tubes?|tip|device)",
            r"orotracheal tube",
            r"e\.?t\.? tube",
            r"ett",
            r"breathing tube",
            r"endotracheal(?= (?:and|,) (?:\w+ )?(?:enteric|nasogastric|ng|orogastric|feeding|tubes))",
        ),
    ),
    (Finding.TRACHEOSTOMY, (r"trach(?:eostomy)?(?: tubes?| cannula)?",)),
    (
        Finding.LINE,
        (
            r"(?:(?:tunnell?ed|double|triple|dual|single|lumen|double-lumen|dual-lumen|internal|external|ij|"
            r"jugular|subclavian|femoral|approach|venous|"
            r"central|hemodialysis|dialysis|haemodialysis|large-bore|vascular|access|port)[ -])*"
            r"(?:central|jugular|subclavian|ij|femoral|dialysis|hemodialysis|haemodialysis|venous|port)[ -]"
            r"(?:(?:venous|access|approach|central|vascular) )*(?:lines?|catheters?|sheaths?|access device|"
            r"cordis|introducer)",
            r"piccs?(?: lines?| catheters?)?",
            r"peripherally inserted central (?:venous )?(?:catheters?|lines?)",
            r"port-?a-?caths?",
            r"(?:medi|chest |infusion |power)port",
            r"cv[cl]s?",
            r"(?:swan[- ]ganz|pulmonary artery|pa|hickman|broviac|permacath|quinton) catheters?",
            r"swan-ganz",
            r"hickman",
            r"permacath",
        ),
    ),
    (
        Finding.PACEMAKER,
        (
            r"(?:dual[- ]chamber |single[- ]chamber |biventricular |cardiac |permanent |transvenous |temporary )*"
            r"(?:pace ?makers?|pacers?)(?: leads?| wires?| generators?| device| pack)?",
            r"(?:pacing|pacer) (?:leads?|wires?|device|system|electrodes?)",
            r"(?:a?icd|crt-?d)s?(?: leads?| device| generator)?",
            r"(?:cardiac |implantable |cardioverter |cardioverter-)*defibrillators?(?: leads?)?",
            r"cardiac (?:conduction |rhythm |pacing )?device",
            r"pulse generator",
        ),
    ),
    (
        Finding.ENTERIC_TUBE,
        (
            r"(?:naso|oro)[- ]?(?:gastric|enteric) tubes?",
            r"(?:ng|og|n\.g\.|nasogastric|enteric|feeding|gastric|gi|orogastric) (?:feeding )?(?:tubes?|catheter)",
            r"[no]gts?",
            r"dob+-?hoff(?: (?:feeding )?tube| catheter)?",
        ),
    ),
    (
        Finding.CHEST_TUBE,
        (
            r"(?:chest|thoracostomy|pleural|intercostal) (?:tubes?|drains?|catheters?|drainage catheters?)",
            r"(?:pleural |pig-?tail )?pig-?tail (?:pleural )?(?:catheters?|drains?)",
            r"pig-?tail",
            r"pleurx(?: catheter)?",
            r"intercostal drains?",
        ),
    ),
    (
        Finding.OTHER_DEVICE,
        (
            r"(?:monitoring and |lines,? tubes,? and |other |life )?support (?:devices?|apparatus|lines?|"
            r"hardware|tubes?)(?: and (?:lines?|tubes?))?",
            r"lines and tubes",
            r"tubes and lines",
            r"intra-?aortic balloon(?: pump)?",
            r"iabp",
            r"(?:median )?sternotomy wires?",
            r"sternal wires",
            r"(?:surgical|mediastinal|vascular) clips",
            r"(?:prosthetic|mechanical|bioprosthetic) (?:\w+ )?valves?",
            r"valve (?:replacement|prosthesis)",
            r"vascular stents?",
            r"(?:vp|ventriculoperitoneal) shunt",
            r"lvad",
            r"ecmo cannulas?",
            r"impella",
        ),
    ),
)

HEART, CARDIOMEDIASTINUM, MEDIASTINUM, LUNGS, ANGLES, PLEURA, VESSELS = (
    "heart",
    "cardiomediastinum",
    "mediastinum",
    "lungs",
    "angles",
    "pleura",
    "vessels",
)

STRUCTURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        HEART,
        (
            r"heart(?: size)?",
            r"cardiac (?:silhouette|size|shadow|contours?|outline)(?: size)?",
            r"(?:size of the|transverse diameter of the) (?:heart|cardiac silhouette)",
            r"transverse cardiac diameter",
            r"cardiothoracic ratio",
            r"cardiac",  # "cardiac and mediastinal silhouettes"
        ),
    ),
    (
        CARDIOMEDIASTINUM,
        (
            r"cardio-?mediastinal (?:silhouettes?|contours?|and hilar contours?|and hilar silhouettes?|structures)",
            r"cardio-?mediastinum",
            r"heart and mediastin(?:um|al contours?|al silhouettes?)",
            r"cardiac(?:,| and) mediastinal(?:,? and hilar)? (?:silhouettes?|contours?)",
        ),
    ),
    (MEDIASTINUM, (r"mediastin(?:um|al (?:silhouettes?|contours?|structures?))(?: and hilar contours?)?",)),
    (
        LUNGS,
        (
            r"lungs(?: (?:fields?|parenchyma))?",
            r"lung (?:fields?|parenchyma|zones?)",
            r"lung(?= (?:is|are|remains|appears|clear|otherwise))",  # "left lung nodule" is no lung
            r"hemithora(?:x|ces)",
        ),
    ),
    (ANGLES, (r"(?:lateral |posterior )?costo-?phrenic (?:angles?|sulc(?:us|i)|recess(?:es)?)", r"cp angles?")),
    (PLEURA, (r"pleural (?:spaces?|surfaces?|cavit(?:y|ies))", r"pleura")),
    (
        VESSELS,
        (
            r"(?:pulmonary )?(?:vasculature|vascularity|vascular markings?|vessels)",
            r"pulmonary vascular pattern",
        ),
    ),
)

NORMAL, LARGE, BORDERLINE, BLUNT, WIDE, CONGESTED = "normal", "large", "borderline", "blunt", "wide", "congested"

STATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        NORMAL,
        (
            r"(?:essentially |entirely |grossly |otherwise )?(?:normal|unremarkable|clear)(?: in (?:size|"
            r"contour|caliber|appearance))?",
            r"within (?:the )?normal (?:limits|range)",
            r"of normal size",
            r"not (?:significantly |grossly |overtly |appreciably )?(?:enlarged|widened|blunted|dilated|"
            r"congested|engorged)",
            r"sharp",
            r"preserved",
            r"well(?:-| )(?:defined|expanded|aerated|inflated)",
            r"(?:fully|normally) expanded",
            r"no longer enlarged",
        ),
    ),
    (
        BORDERLINE,
        (
            r"(?:top|upper|high)(?:[- ]limits?)?(?: of)?[- ]normal(?: in size)?",
            r"at the upper limits? of normal(?: (?:in|for) size)?",
            r"borderline(?: (?:in size|enlarged|size|large|enlargement))?",
        ),
    ),
    (
        LARGE,
        (
            r"prominent",
            r"dilated",
            r"globular",
            r"increased in (?:size|diameter)",
            r"exceeds half of the (?:thoracic|chest) (?:width|diameter)",
        ),
    ),
    (BLUNT, (r"blunt(?:ed|ing)?", r"obscured", r"obliterat(?:ed|ion)")),
    (WIDE, (r"widen(?:ed|ing)",)),
    (
        CONGESTED,
        (r"congested", r"engorged", r"indistinct(?:ness)?", r"cephali[sz]ed", r"(?:mildly |moderately )?plethoric"),
    ),
)
