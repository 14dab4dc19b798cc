"""Captions as people write them under radiology images, of this project's own making (CC0): no one else's words."""

CAPTIONS = [
    "Chest X-ray (PA view) showing a rounded opacity in the right lower lobe (arrow).",
    "Axial CT of the head without contrast: hyperdense left frontal bleed, 3.2 x 2.1 cm, with surrounding oedema.",
    "Sagittal T2-weighted MRI of the lumbar spine. There is a disc protrusion at L4/L5 that touches the nerve root.",
    "Ultrasound of the neck: hypoechoic nodule of 9 mm in the left thyroid lobe; no calcification is seen.",
    "MRI.",
    "Postoperative control",
    "Radiograph of the left wrist after a fall, with a fracture of the distal radius (white arrow) and of the ulna.",
    "Coronal reconstruction of an abdominal CT scan; the appendix is 11 mm wide (arrowheads), its fat is stranded.",
    "Angiography before (a) and after (b) coiling of an aneurysm of the right middle cerebral artery.",
    "Panoramic radiograph showing an impacted third molar on the lower left side.",
    "CT angiogram of the chest demonstrating filling defects in both main pulmonary arteries (asterisks).",
    "Radiographie du thorax de face : épanchement pleural gauche d'abondance moyenne.",
    "Röntgenbild des linken Knies mit deutlicher Verschmälerung des medialen Gelenkspaltes.",
    "Tomografía computarizada de abdomen que muestra una lesión hepática hipodensa de 4 cm.",
    "A 54-year-old woman with cough for 6 weeks. The film shows patchy consolidation in the lingula.",
    "T1-weighted image, post-gadolinium; ring-enhancing lesion in the right parietal lobe with mass effect.",
    "Transthoracic echocardiogram, four-chamber view: the right ventricle is dilated & hypokinetic.",
    "PET/CT: intense FDG uptake (SUVmax 12.4) in a mediastinal lymph node.",
    'The so-called "tree-in-bud" pattern on HRCT.',
    "Barium swallow.  Note the narrowing of the oesophagus at its lower third",
    "Fig. 2: plain abdominal film, supine. Dilated loops of small bowel, > 3.5 cm, with air-fluid levels.",
    "Doppler sonography of the left leg; no flow and no compressibility of the popliteal vein -> thrombosis.",
    "Bone scan: multiple foci of increased uptake in ribs, spine and pelvis suggest metastases.",
    "Follow-up CT scan at 6 months, no evidence of recurrence.",
    "Mammogram, mediolateral oblique view: spiculated mass, BI-RADS 5.",
    "Axial FLAIR image showing hyperintensities in the periventricular white matter (Fazekas grade 2).",
    "Cone-beam CT of the maxilla with a well-defined radiolucency around the root of tooth 21.",
    "Lateral radiograph of the cervical spine; the anterior soft tissue is 22 mm thick at C6.",
    "Non-contrast CT: obstructing stone (7 mm, 980 HU) in the proximal right ureter, hydronephrosis grade II.",
    "Hysterosalpingogram: both tubes are patent, with free spill of contrast.",
    "MRCP shows a dilated common bile duct and two stones (red arrows) near the ampulla.",
    "Chest X-ray of a newborn: the stomach bubble lies in the left hemithorax.",
    "CT-guided biopsy. The needle's tip (N) is within the lesion (L).",
    "Fetal ultrasound at 21 weeks+3 days: normal four-chamber view.",
    "X-ray of the pelvis (AP), 2 years after total hip replacement: no loosening.",
    "Diffusion-weighted imaging (b = 1000 s/mm²) and ADC map: restricted diffusion in the left MCA territory.",
    "Chest radiograph, two views,\nshowing a normal heart and clear lungs.",
    "Axial CT of the head without contrast: no bleed.",
    "Axial CT of the head without contrast: no bleed.",
    "3D volume rendering of the facial bones.",
    "A 67-year-old man came with pain in the upper abdomen that had begun 3 days before and went through to the "
    "back. He had lost 8 kg in two months. CT of the abdomen in the portal venous phase shows a mass of 4.1 cm in "
    "the head of the pancreas that narrows the duct; the duct behind it is 9 mm wide. The superior mesenteric "
    "vein is touched over 90 degrees, the artery is free. There are two small hypodense lesions in segment VI of "
    "the liver, too small to tell.",
    "The patient, a girl of 12, fell on her outstretched hand. (A) Frontal and (B) lateral radiographs on the day "
    "of the fall show a torus fracture of the distal radius and no displacement. (C) After three weeks in a cast "
    "there is callus on both sides of the line. (D) After a year the bone has been remodelled and the line can no "
    "longer be seen; the growth plate is open and even. She plays the piano again without pain, and no further "
    "visits were planned for her.",
]
